"""The work of a worker: training a cohort, measuring it, checkpointing it, and drawing its trials. Knows no Ray."""
