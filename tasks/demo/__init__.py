"""The built-in sample benchmark."""
