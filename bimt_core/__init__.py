"""Brain-Inspired Modular Training: the method."""
