"""The study of a sweep: which trials were asked, by which attempt, and how they ended. Optuna is here only."""
