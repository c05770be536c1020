"""Token files, of this program and of others: their formats, read and written.

Opens no file and no store; the commands `import` and `export` do.
"""
