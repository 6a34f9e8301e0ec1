"""What a raw row means: its fields, the columns that mark a layout, and the record that follows. Opens no file."""
