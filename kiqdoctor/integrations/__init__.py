"""Other people's frameworks, each imported by the one thin module that knows it."""
