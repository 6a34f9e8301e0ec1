"""From a source's name to records or rejections: files, folders, hub ids, several mixed, the embedded generator.

Knows readers and layouts; compares no rows with one another.
"""
