"""Where a developer works on a month: the schemas, and the role."""

import re
from dataclasses import dataclass
from pathlib import Path

from dev.errors import StackError
from dev.services.warehouse_address import WarehouseAddress
from include.datasets import Dataset
from include.month import Month


@dataclass(frozen=True)
class Workshop:
    """Where a developer works on a month: `address` with their role, `published` the schema that production writes.

    `folder` is where dbt keeps what it parsed.
    """

    dataset: Dataset
    month: Month
    address: WarehouseAddress
    published: str
    user: str
    folder: Path

    @property
    def schema(self) -> str:
        """The schema of the developer's marts, as profiles.yml makes it."""
        return f"dev_{self.user}_{self.published.removeprefix('airflow_')}"


def developer_name(text: str) -> str:
    """The name as a part of a schema's, as profiles.yml makes it. Raises StackError for one that cannot be."""
    name = re.sub(r"[.-]", "_", text.lower())
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,19}", name):
        raise StackError(
            f"DEV_USER={text}: the name of your schemas, dev_<user>_…, is made from it. Use 1 to 20 letters, digits or "
            "underscores, and none of these first."
        )
    return name
