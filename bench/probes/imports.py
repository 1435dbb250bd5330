"""Makes the API ready to serve in this process, answers nothing, and says which modules that loaded."""

import json
import sys

from dosette_api.serve import application

application()
print(json.dumps(sorted(sys.modules)))
