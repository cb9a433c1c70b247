"""What people look at: the report of a sweep and the comparison of its variants."""
