"""`python -m jaxcnn classify | evaluate | inspect | summary | models`."""

from jaxcnn.commands import main

if __name__ == "__main__":
    main(None)
