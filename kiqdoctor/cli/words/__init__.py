"""The words that commands share: options, what a file or the environment says in their place, where reports go."""
