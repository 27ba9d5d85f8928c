"""Times as the console's own pages and the log write them: in order, short, and not to be misread in another country.

https://docs.djangoproject.com/en/stable/topics/i18n/formatting/#creating-custom-format-files
"""

from __future__ import annotations

DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i"
