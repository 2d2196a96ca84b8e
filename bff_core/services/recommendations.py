"""What else a reader of a product may want."""

from bff_core.services.client import Answer, ServiceClient, Slug
from bff_core.upstream import Call

__all__ = ["Recommendations", "Related"]


class Related(Answer):
    """Ids of products; what they are, only the catalog knows."""

    bought_together: list[Slug]
    bought_by_others: list[Slug]


class Recommendations(ServiceClient):
    """Products that go with a product."""

    service = "recommendations"

    def related(self, product_id: str) -> Call[Related]:
        """What is bought with it, and what its buyers bought besides."""
        return self.get("/products/{product_id}/recommendations", product_id=product_id, returns=Related)
