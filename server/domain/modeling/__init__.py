"""Rules of modeling: units, resources, products, grants, policies and selling models."""
