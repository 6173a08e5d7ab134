"""The commands of `dysr`: one frozen dataclass each, whose fields are its options.

`parsing` holds the table of commands and finds one by its words; `failures`, `signals` and `terminal` see to
it that every command ends well. The others hold the commands by what they work on.
"""
