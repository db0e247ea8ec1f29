"""What lies in an output folder: its layout, receipts, catalog and manifest."""
