"""The contracts of sources, outputs, stores and engines as test suites. They need pytest.

A new one inherits its suite in a few lines, also one outside this package:

    class TestMySource(SourceContract):
        source = MySource()

        def write(self, folder: Path) -> list[Known]:
            return write_my_place(folder)

    class TestMyOutput(OutputContract):
        output = MyOutput()

    class TestMyStore(StoreContract):
        def store(self, folder: Path) -> Store:
            return MyStore(folder)

    class TestMyEngine(EngineContract):
        def engine(self) -> AbstractContextManager[Engine]:
            return my_engine(workers=2)
"""

from imagenet_prep.testing.engine_contract import EngineContract
from imagenet_prep.testing.output_contract import OutputContract
from imagenet_prep.testing.source_contract import Known, SourceContract
from imagenet_prep.testing.store_contract import StoreContract

__all__ = ["EngineContract", "Known", "OutputContract", "SourceContract", "StoreContract"]
