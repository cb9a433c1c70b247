"""The Optuna study of a sweep: asking for trials, telling their results, and the storage that keeps them."""
