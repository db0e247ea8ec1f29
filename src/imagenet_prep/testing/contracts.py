"""The contracts of outputs and stores as test suites.

A new one inherits its suite in a few lines, and so does one that somebody else has made:

    class TestMyOutput(OutputContract):
        output = MyOutput()

    class TestMyStore(StoreContract):
        def store(self, folder: Path) -> Store:
            return MyStore(folder)
"""

from imagenet_prep.testing.output_contract import OutputContract
from imagenet_prep.testing.store_contract import StoreContract

__all__ = ["OutputContract", "StoreContract"]
