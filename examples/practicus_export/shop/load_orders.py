import os

import practicuscore as prt

assert os.environ["MODE"] == "full"
prt.logger.info("orders of %s", os.environ["EXECUTION_DATE"])
