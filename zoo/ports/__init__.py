"""Key maps of foreign checkpoint layouts, one file each: a state dict of theirs as one of ours, and back."""
