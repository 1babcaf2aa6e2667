"""What gunicorn serves. It doesn't come up on settings that contradict themselves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

application = get_wsgi_application()

from config.checks import refuse_to_start  # noqa: E402  settings and apps are loaded only now
from config.structs import ready_structs  # noqa: E402

refuse_to_start()
ready_structs()
