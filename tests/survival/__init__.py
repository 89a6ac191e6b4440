"""Commands that are killed in the middle must end, when given again, as if nothing had happened.

python -m tests.survival DIR                 kills at random moments of `prepare`, `crossval`, `train`, `reproduce`
python -m tests.survival --each-change DIR   a kill before each single change of the disk that a command makes

    journeys.py   the commands, how far one has come, and what must be equal in the end
    killing.py    starting a command, and killing it with all its processes
"""
