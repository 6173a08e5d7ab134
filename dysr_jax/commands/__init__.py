"""The commands of `dysr`: one frozen dataclass each, whose fields are its options. parsing holds the table of
commands; failures, signals and terminal see to it that every command ends well.
"""
