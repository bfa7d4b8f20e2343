"""TFRecords -> trained weights, and how good they are."""
