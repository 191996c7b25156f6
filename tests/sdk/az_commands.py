"""Prints the `az iot dps` commands that azure-cli itself has, one JSON list; to be run by the Python that azure-cli is installed in."""

import json

from azure.cli.core import get_default_cli

cli = get_default_cli()
loader = cli.commands_loader_cls(cli)
# The loader looks at the arguments to load one module only; extensions are not among the core's commands.
table = loader.load_command_table(["iot", "dps", "list"])
names = [name for name, command in table.items() if name.startswith("iot dps ") and not hasattr(command.command_source, "extension_name")]
print(json.dumps(sorted(names)))
