"""Studies as data: pydantic models, grid expansion and run ids; loads neither torch nor deepxde."""
