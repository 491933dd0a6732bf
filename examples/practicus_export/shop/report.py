import os

import practicuscore as prt

prt.logger.info("amounts are in %s", os.environ["CURRENCY"])
prt.notify.send(title="Report", body="It is written.")
