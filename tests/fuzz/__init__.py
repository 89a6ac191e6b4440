"""Every parser of files that others may have written, fed with damaged and hostile ones.

targets.py names the parsers and their seeds, mutate.py corrupts the seeds, __main__.py runs it long: `make fuzz`.
A short run is a test, tests/test_fuzz.py.
"""
