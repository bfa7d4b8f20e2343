"""Images with label files -> lists of samples -> TFRecords."""
