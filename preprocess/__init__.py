"""Raw photographs -> lists of samples -> TFRecords."""
