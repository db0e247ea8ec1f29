"""Bytes to values and back: JPEG headers, tar, TFRecord, Example, sealed documents."""
