"""The local web page: drop a photo, ask phrases, see heatmaps and boxes. Gradio is imported only when it is served."""
