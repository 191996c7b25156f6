"""Every public operation of each management and service client, once right and once wrong, and none forgotten.

What is public is read from the installed packages themselves, so that a new version's new operation fails the run until someone has
said what becomes of it: tried both ways, or left out for a reason that stands beside its name.
"""

from . import management, management_2, node_service, old_service, service

# In the order of the run: each is a module with `all_cases(server)`.
CLIENTS = [management, management_2, service, old_service, node_service]


def all_cases(server):
    """Cases as (name, function)."""
    return [case for client in CLIENTS for case in client.all_cases(server)]
