"""Runs tasks: in this process, in processes, or wherever a ``concurrent.futures.Executor`` takes them. Knows
nothing about images.
"""
