"""The commands `dysr COMMAND`: one frozen dataclass each, whose fields are its options.

parsing holds the table of commands; runs, images, video, export, demo, data and bench have the commands, by
what they work on; common: options that several have; failures, signals and terminal let every command end
well.
"""
