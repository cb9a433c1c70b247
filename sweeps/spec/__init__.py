"""What a sweep says: its file, search space and hyperparameters, checked whole before anything starts."""
