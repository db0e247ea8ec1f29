"""Runs tasks: in this process, in processes of this machine, on a cluster, or wherever a
``concurrent.futures.Executor`` takes them. Knows nothing about images.
"""
