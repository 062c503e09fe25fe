"""Cities of simulated users, with country, UTC offset in hours, and share of the users."""

from typing import NamedTuple


class City(NamedTuple):
    """A city: country (ISO 3166-1 alpha-2), degrees north and east, hours ahead of UTC, weight."""

    country: str
    latitude: float
    longitude: float
    utc_offset_hours: int
    weight: float


CITIES = (
    City("US", 40.7128, -74.0060, -5, 8),
    City("US", 34.0522, -118.2437, -8, 6),
    City("US", 41.8781, -87.6298, -6, 4),
    City("GB", 51.5074, -0.1278, 0, 7),
    City("GB", 53.4808, -2.2426, 0, 3),
    City("DE", 52.5200, 13.4050, 1, 6),
    City("DE", 48.1351, 11.5820, 1, 3),
    City("FR", 48.8566, 2.3522, 1, 6),
    City("FR", 45.7640, 4.8357, 1, 2),
    City("BR", -23.5505, -46.6333, -3, 7),
    City("BR", -22.9068, -43.1729, -3, 4),
    City("MX", 19.4326, -99.1332, -6, 6),
    City("IN", 19.0760, 72.8777, 5, 6),
    City("IN", 12.9716, 77.5946, 5, 4),
    City("JP", 35.6762, 139.6503, 9, 5),
    City("SE", 59.3293, 18.0686, 1, 3),
    City("CL", -33.4489, -70.6693, -4, 3),
)
COUNTRIES = tuple(sorted({city.country for city in CITIES}))
