"""The parts of an audit."""
