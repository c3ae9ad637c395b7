"""The demo: test secrets, a stand-in case core, and citizens who write on every channel over real sockets."""
