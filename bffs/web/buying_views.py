"""What it takes to buy something, as a browser shows it."""

from datetime import date, datetime

from pydantic import AliasPath, BaseModel, ConfigDict, Field

__all__ = ["AvailabilityView", "PriceView", "PurchaseView", "SellerView", "View"]


class View(BaseModel):
    """Drawn from the attributes of what a service answered, and only from those it names."""

    model_config = ConfigDict(from_attributes=True)


class Amount(View):
    """Minor units, and the same as people write it."""

    amount: int
    currency: str
    text: str


class OptionView(View):
    kind: str
    condition: str | None
    price: Amount


class PriceView(View):
    price: Amount
    list_price: Amount
    saving_percent: int
    options: list[OptionView]


class WarehouseView(View):
    warehouse: str
    region: str
    quantity: int


class DeliveryView(View):
    region: str
    earliest: date
    latest: date


class AvailabilityView(View):
    in_stock: bool
    quantity: int
    warehouses: list[WarehouseView]
    delivery: DeliveryView | None


class SellerView(View):
    seller_id: str
    name: str
    rank: int
    rating: float
    ratings: int
    price: Amount = Field(validation_alias=AliasPath("offer", "price"))
    condition: str = Field(validation_alias=AliasPath("offer", "condition"))
    ships_from: str = Field(validation_alias=AliasPath("offer", "ships_from"))


class PurchaseView(View):
    order_id: str
    ordered_at: datetime
    quantity: int
    paid: Amount
    format: str
