"""A folder as Practicus AI exports it: a dag file, tasks and worker files, of which nothing was changed."""

import os

from practicus_assets import workflow_from_folder

defs = workflow_from_folder(
    "shop", images={"practicus": os.environ.get("PRACTICUS_IMAGE", "localhost/practicus-assets:latest")}
)
