"""Pure forecasts. Neighbours: detectors do not use them; they make signals of their own."""
