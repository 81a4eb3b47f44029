"""One model, in the admin."""

from django.contrib import admin
from django.db import models


class Note(models.Model):
    """A title and a text."""

    title = models.CharField(max_length=100)
    text = models.TextField(blank=True)

    def __str__(self) -> str:
        return str(self.title)


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):
    """The list has a search."""

    list_display = ("title", "text")
    search_fields = ("title",)
