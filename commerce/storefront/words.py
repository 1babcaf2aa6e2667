"""Words for the attributes that the demonstration shops use. A catalog may hold any others: those show untranslated."""

from django.utils.translation import pgettext_lazy

ATTRIBUTE_WORDS = {
    "size": pgettext_lazy("attribute", "size"),
    "color": pgettext_lazy("attribute", "color"),
    "black": pgettext_lazy("attribute", "black"),
    "teal": pgettext_lazy("attribute", "teal"),
    "coral": pgettext_lazy("attribute", "coral"),
    "mint": pgettext_lazy("attribute", "mint"),
    "sunny": pgettext_lazy("attribute", "sunny"),
    "charcoal": pgettext_lazy("attribute", "charcoal"),
    "sand": pgettext_lazy("attribute", "sand"),
    "burgundy": pgettext_lazy("attribute", "burgundy"),
    "midnight": pgettext_lazy("attribute", "midnight"),
    "rose": pgettext_lazy("attribute", "rose"),
    "champagne": pgettext_lazy("attribute", "champagne"),
}
