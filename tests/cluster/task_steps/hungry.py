import os
from pathlib import Path

Path("beside.txt").write_text("written")  # its folder is a copy, on a root that is read-only
if os.environ["PRACTICUS_ATTEMPT"] == "1":
    held = [bytearray(50 << 20) for _ in range(20)]
print("attempt", os.environ["PRACTICUS_ATTEMPT"])
