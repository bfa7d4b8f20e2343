"""What every step shares: manifests and resuming, worker processes, storage."""
