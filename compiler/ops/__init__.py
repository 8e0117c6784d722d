"""The few operators torch lacks, each a `torch.library` operator: window aggregation and global convolution."""
