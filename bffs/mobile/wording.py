"""How the apps say it: short, in English, ready to be shown."""

from datetime import date
from textwrap import shorten

from bff_core.services.catalog import Product
from bff_core.services.inventory import Availability, Delivery
from bff_core.services.orders import Purchase
from bff_core.services.pricing import Quote
from bff_core.services.reviews import Rating, Review

__all__ = ["arrival", "byline", "day", "facts", "gist", "purchase", "rating", "saving", "stock"]

_FEW = 4


def facts(product: Product) -> str:
    """Year, publisher, length."""
    return f"{product.published[:4]} · {product.publisher} · {product.pages} pages"


def saving(quote: Quote) -> str | None:
    """How much less than the list price, where it is less."""
    return f"{quote.saving_percent} % off" if quote.saving_percent > 0 else None


def stock(found: Availability) -> str:
    """Whether there is any."""
    if not found.in_stock:
        return "Out of stock"
    return f"Only {found.quantity} left" if found.quantity < _FEW else "In stock"


def arrival(delivery: Delivery | None) -> str | None:
    """Between which days."""
    if delivery is None:
        return None
    first, last = delivery.earliest, delivery.latest
    return f"Arrives {first:%a} {first.day} {first:%b} – {last:%a} {last.day} {last:%b}"


def rating(found: Rating) -> str:
    """The average, and of how many."""
    return f"{found.average} from {found.count} ratings" if found.average else "Not rated yet"


def byline(review: Review) -> str:
    """Who, and when."""
    return f"{review.author}, {day(review.written_at)}"


def day(moment: date) -> str:
    """Of which month and year."""
    return f"{moment.day} {moment:%b %Y}"


def purchase(found: Purchase) -> str:
    """As what, how many, and for how much."""
    number = f"{found.quantity} × " if found.quantity > 1 else ""
    return f"{number}{found.format}, {found.paid.text}"


def gist(review: Review) -> str:
    """What it says, as far as it fits on two lines."""
    return shorten(f"{review.title}. {review.body}", 100, placeholder=" …")
