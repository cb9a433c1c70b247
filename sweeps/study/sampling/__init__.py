"""Methods that suggest hyperparameters from the results so far."""
