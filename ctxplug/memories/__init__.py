"""Memories: how they come to be, their tiers and their life."""
