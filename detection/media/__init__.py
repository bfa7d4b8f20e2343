"""Sources of images and writers of results: the parts of test.py."""
